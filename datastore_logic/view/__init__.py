"""The view: what the ledger says, shaped for the questions asked of it. Deletable at any time."""
