"""A standing fuzzer: whatever is read may be damaged, and never by more than an error.

`seeds` makes small whole files of every kind that avalign reads, `mutators` damage them,
`targets` read them through the doors that users take, and `campaign` watches over it in
processes of their own. ``python -m tests.fuzz --help`` runs a long campaign.
"""
