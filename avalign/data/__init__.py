"""Manifests, clips and the windows cut from them."""
