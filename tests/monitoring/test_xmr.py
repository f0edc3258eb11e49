"""XmR charts: Wheeler's limits, phases that freeze, and no window that rolls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.monitoring.xmr import natural_limits, xmr_chart


def test_natural_limits_by_hand():
    centre, lower, upper = natural_limits(np.array([10.0, 12.0, 11.0, 13.0]))
    assert centre == 11.5
    assert upper - centre == pytest.approx(2.66 * 5 / 3)
    assert centre - lower == pytest.approx(2.66 * 5 / 3)
    with pytest.raises(ValueError, match="two points"):
        natural_limits(np.array([1.0]))


def test_limits_freeze_after_twenty_five_points():
    rng = np.random.default_rng(0)
    values = rng.normal(10, 1, 60)
    chart = xmr_chart(values)
    first = chart.phase == 0
    frozen = chart.upper[first][25:]
    assert len(frozen) > 10
    assert np.ptp(frozen) == 0
    assert len(np.unique(chart.upper[8:25])) > 10


def test_the_tested_point_is_not_in_its_own_limits():
    values = np.array([10.0, 11, 10, 11, 10, 11, 10, 11, 1000])
    assert xmr_chart(values).signal[-1] == 1


def test_a_run_of_eight_starts_a_phase_where_the_run_began():
    values = np.r_[np.tile([11.0, 10.0], 12), np.full(8, 12.0), np.tile([12.0, 13.0], 10)]
    chart = xmr_chart(values)
    assert chart.run[31] == 1
    assert chart.phase_starts == (0, 24)
    assert chart.phase_reasons == ("start", "run of eight")
    assert np.isnan(chart.moving_range[24])


def test_seven_in_a_row_are_no_run():
    values = np.r_[np.tile([11.0, 10.0], 12), np.full(7, 12.0), 9.0, np.tile([10.0, 11.0], 5)]
    assert xmr_chart(values).phase_starts == (0,)


def test_a_given_phase():
    values = np.r_[np.tile([10.0, 11.0], 10), np.tile([20.0, 21.0], 10)]
    chart = xmr_chart(values, phase_starts=[20])
    assert chart.phase_reasons == ("start", "given")
    assert not chart.signal.any()


def test_refused():
    with pytest.raises(ValueError, match="finite"):
        xmr_chart(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="fewest_points"):
        xmr_chart(np.ones(5), fewest_points=1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=0, max_size=60),
    st.floats(0.5, 10),
    st.integers(-5, 5),
    st.integers(0, 59),
)
def test_charts_scale_and_never_look_ahead(values, factor, shift, cut):
    x = np.round(np.array(values, dtype=float), 3)
    chart = xmr_chart(x)
    part = xmr_chart(x[:cut])
    np.testing.assert_array_equal(chart.signal[: len(part.signal)], part.signal)
    np.testing.assert_array_equal(chart.run[: len(part.run)], part.run)
    exact = xmr_chart(x * 4)
    np.testing.assert_array_equal(exact.signal, chart.signal)
