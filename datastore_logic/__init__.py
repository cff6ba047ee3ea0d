"""Global tags, intervals of validity, freezing and resolution over the databuffer.

It owns no truth, only a view it can always rebuild from the ledger.
"""
