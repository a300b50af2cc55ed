import pytest

from pgvigil.store import Store
from tests.support.outbox import Rig


@pytest.fixture
def rig(store: Store) -> Rig:
    return Rig(store)
