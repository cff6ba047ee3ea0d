"""How nopayloaddb's clients write the end of an IOV: open, exclusive, inclusive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.config import IovMode
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.errors import BadRequest
from datastore_logic.web.cdb_rest.ends import OPEN, Ends, comb_iov

numbers = st.sampled_from([0, 1, 2, LIMIT - 1, LIMIT]) | st.integers(0, LIMIT)
moments = st.tuples(numbers, numbers)
CONTINUOUS, DISCRETE = Ends(IovMode.CONTINUOUS), Ends(IovMode.DISCRETE)


@given(moments, st.sampled_from([CONTINUOUS, DISCRETE]))
def test_what_is_read_is_written_again(told, ends):
    """Reading and writing an end are inverse, in both modes."""
    assert ends.write(ends.read(told)) == told


@given(moments)
def test_the_end_itself_belongs_to_a_discrete_iov_only(told):
    """Inclusive in `discrete`, exclusive in `continuous`; an open one contains everything."""
    start = Moment(0, 0)
    if told not in {OPEN, (0, 0)}:
        assert Moment(*told) not in CONTINUOUS.interval("url", start, Moment(*told))
    assert Moment(*told) in DISCRETE.interval("url", start, Moment(*told))
    assert CONTINUOUS.interval("url", start, Moment(*OPEN)) == Interval(start)


@pytest.mark.parametrize(
    ("start", "end", "continuous", "discrete"),
    [
        ((5, 0), (5, 0), False, True),
        ((5, 1), (5, 0), False, False),
        ((5, 0), (5, 1), True, True),
        ((6, 0), (5, LIMIT), False, False),
        ((5, LIMIT), (6, 0), True, True),
        (OPEN, OPEN, True, True),
    ],
)
def test_an_end_comes_after_its_start_or_may_equal_it(start, end, continuous, discrete):
    """After it in `continuous`, at it or after it in `discrete`."""
    for ends, allowed in ((CONTINUOUS, continuous), (DISCRETE, discrete)):
        if allowed:
            assert ends.interval("url", Moment(*start), Moment(*end)).start == Moment(*start)
        else:
            with pytest.raises(BadRequest, match="url PayloadIOV ending IOVs"):
                ends.interval("url", Moment(*start), Moment(*end))


@pytest.mark.parametrize(
    ("end", "continuous", "discrete"),
    [
        ((None, None), OPEN, OPEN),
        ((7, 5), (7, 5), (7, 4)),
        ((7, 0), (7, 0), (6, LIMIT)),
    ],
)
def test_rows_of_an_answer_end_as_the_mode_says(end, continuous, discrete):
    """Nine columns, whatever follows; the seventh and eighth are the end."""
    row = ("Beam", "url", None, None, 1, 2, *end, None, "sha256:…")
    assert CONTINUOUS.rows([row]) == [("Beam", "url", None, None, 1, 2, *continuous, None)]
    assert DISCRETE.rows([row]) == [("Beam", "url", None, None, 1, 2, *discrete, None)]


@given(numbers, numbers)
def test_comb_iov_is_a_decimal_with_19_places(major, minor):
    """`major + minor / 10^19`, exactly."""
    whole, _, places = comb_iov(major, minor).partition(".")
    assert (int(whole), int(places), len(places)) == (major, minor, 19)
