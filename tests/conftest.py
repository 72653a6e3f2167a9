"""What tests of several files share."""

import pytest


@pytest.fixture
def one_thread():
    """Let torch work in one thread, from the same seed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
