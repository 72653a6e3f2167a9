"""What tests of several files share."""

import hypothesis
import pytest

# The first example compiles, and machines are busy: how long one takes is no property.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Keep a file on one process, and DTW on one: its kernels are then compiled once."""
    for item in items:
        name = item.path.stem
        group = "dtw" if name.startswith("test_dtw") else name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def one_thread():
    """Let torch work in one thread, from the same seed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
