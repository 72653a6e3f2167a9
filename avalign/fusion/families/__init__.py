"""The families of fusion, one file each."""
