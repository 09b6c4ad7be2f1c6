"""Signatures of what a device takes from elsewhere: Ed25519 by `cryptography` (extra `fleet`)."""
