import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.quantization.tied_channels import TiedChannels


def test_channels_are_alone_at_first():
    tied = TiedChannels({7: 2, 3: 3})
    assert tied.count == 5
    assert tied.roots(7).tolist() == [0, 1]
    assert tied.roots(3).tolist() == [2, 3, 4]


def test_ties_may_begin_behind_the_others_first_channels():
    tied = TiedChannels({0: 2, 1: 4})
    tied.tie(0, 1, 1)
    assert tied.roots(1).tolist() == [2, 0, 1, 5]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    ties=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 4)), max_size=12),
)
def test_two_channels_share_a_root_where_ties_lead_from_one_to_the_other(sizes, ties):
    tied = TiedChannels(dict(enumerate(sizes)))
    first = np.concatenate([[0], np.cumsum(sizes)])
    reached = np.eye(tied.count, dtype=bool)
    for one, other, before in ties:
        if max(one, other) >= len(sizes) or sizes[one] + before > sizes[other]:
            continue
        tied.tie(one, other, before)
        for channel in range(sizes[one]):
            pair = first[one] + channel, first[other] + before + channel
            reached[pair] = reached[pair[::-1]] = True
    for _ in range(tied.count):
        reached = reached @ reached
    roots = np.concatenate([tied.roots(tensor) for tensor in range(len(sizes))])
    np.testing.assert_array_equal(roots[:, None] == roots[None, :], reached)
