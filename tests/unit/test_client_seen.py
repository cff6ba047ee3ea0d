"""The newest LSN that a client has seen, and of which ledger it is."""

from condstore.calls import Seen


def test_the_newest_position_is_kept_until_another_ledger_answers():
    """After a restore nobody is asked for an LSN that is not there; older servers say no id."""
    seen = Seen()
    for headers, lsn in (
        ({"X-Ledger-LSN": "7"}, 7),
        ({"X-Ledger-LSN": "9", "X-Ledger-Id": "a"}, 9),
        ({"X-Ledger-LSN": "8", "X-Ledger-Id": "a"}, 9),
        ({"X-Ledger-LSN": "5", "X-Ledger-Id": "b"}, 5),
        ({}, 5),
        ({"X-Ledger-LSN": "6", "X-Ledger-Id": "b"}, 6),
        ({"X-Ledger-LSN": "x"}, 6),
    ):
        seen.note(headers)
        assert seen.lsn == lsn, headers
