"""From edges to trees: every waiter once, under the right root, whatever the graph looks like."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.rules._wait_trees import chains
from collectors.lock_waits import Prepared, WaitGraph
from tests.support.readings import lock, wait_graph, wait_session


def test_a_queue_behind_ddl_hangs_below_the_ddl() -> None:
    graph = wait_graph({2: (1,), 3: (1,), 4: (3,), 5: (3,)}, waits=(lock(2, wait_age_s=99.0),))
    (chain,) = chains(graph)
    assert chain.root == 1
    assert chain.children == {1: (3, 2), 3: (4, 5)}
    assert chain.behind(1) == 4
    assert chain.longest_wait_s == 99.0


def test_a_waiter_stands_as_near_to_the_root_as_it_can() -> None:
    """The queue for a row names everybody ahead: that must not become a ladder."""
    graph = wait_graph({2: (1,), 3: (2, 1), 4: (3, 2), 5: (4, 3, 2)})
    (chain,) = chains(graph)
    assert chain.children == {1: (2, 3), 2: (4, 5)}


def test_a_waiter_with_two_roots_belongs_to_the_oldest_transaction() -> None:
    graph = wait_graph(
        {3: (1, 2)}, sessions=(wait_session(1, xact_age_s=5.0), wait_session(2, xact_age_s=500.0))
    )
    assert [(chain.root, chain.waiters) for chain in chains(graph)] == [(2, (3,))]


def test_two_faults_are_two_chains() -> None:
    graph = wait_graph({2: (1,), 12: (11,)})
    assert [chain.root for chain in chains(graph)] == [1, 11]


def test_a_prepared_transaction_can_be_the_root() -> None:
    graph = wait_graph({2: ("gid 'x",)}, prepared=(Prepared("gid 'x", 60.0, "shop", "app"),))
    (chain,) = chains(graph)
    assert chain.subject == "prepared 'gid ''x'"
    assert chain.root_prepared is not None
    assert chain.root_session is None


def test_sessions_that_wait_in_a_circle_are_one_chain() -> None:
    graph = wait_graph({1: (2,), 2: (3,), 3: (1,), 4: (1,)}, sessions=(wait_session(2, xact_age_s=77.0),))
    (chain,) = chains(graph)
    assert chain.root == 2
    assert sorted(chain.waiters) == [1, 3, 4]


def test_a_blocker_that_is_gone_by_now_is_no_root() -> None:
    seen = wait_graph({2: (1,), 3: (2,)})
    graph = WaitGraph(
        sessions={pid: seen.sessions[pid] for pid in (2, 3)}, blockers=seen.blockers, waits=seen.waits
    )
    assert chains(graph) == ()


def test_nobody_waits_means_no_chain() -> None:
    assert chains(WaitGraph(connections=7)) == ()


@given(
    st.dictionaries(
        st.integers(1, 12),
        st.lists(st.integers(1, 14), min_size=1, max_size=4, unique=True).map(tuple),
        max_size=12,
    )
)
def test_every_waiter_is_in_exactly_one_chain(blockers: dict[int, tuple[int | str, ...]]) -> None:
    """Any graph ends, circles included, and counts nobody twice. (The server names nobody as its own blocker.)"""
    others = {pid: tuple(each for each in found if each != pid) for pid, found in blockers.items()}
    blockers = {pid: found for pid, found in others.items() if found}
    found = chains(wait_graph(blockers))
    waiters = [pid for chain in found for pid in chain.waiters]
    roots = [chain.root for chain in found]
    assert len(waiters) == len(set(waiters))
    assert set(waiters) | set(roots) >= set(blockers)
    assert not set(waiters) & set(roots)
    assert all(chain.behind(chain.root) == len(chain.waiters) for chain in found)


def test_a_long_ladder_is_no_problem() -> None:
    graph = wait_graph({pid: (pid - 1,) for pid in range(2, 302)})
    (chain,) = chains(graph)
    assert chain.behind(1) == 300
