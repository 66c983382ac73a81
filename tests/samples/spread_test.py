import numpy as np
import pytest

from tools.samples.loading import InputSpec, Preprocessing, load_samples
from tools.samples.spread import SpreadSamples

_SPECIFICATION = InputSpec("values", (1, 2), np.dtype(np.float32))


@pytest.fixture(name="samples")
def _samples(tmp_path):
    for number in range(10):
        np.save(tmp_path / f"sample_{number}.npy", np.full(2, number, np.float32))
    return load_samples([tmp_path], [_SPECIFICATION], Preprocessing(0, 1))


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, range(10)),
        (1, [0]),
        (3, [0, 3, 6]),
        (4, [0, 2, 5, 7]),
        (10, range(10)),
        (99, range(10)),
    ],
)
def test_they_lie_evenly_and_keep_their_names(samples, most, expected):
    spread = SpreadSamples(samples, most)
    assert len(spread) == len(expected)
    assert [int(sample["values"][0, 0]) for sample in spread] == list(expected)
    assert [name[-5] for name in spread.names] == [str(number) for number in expected]
