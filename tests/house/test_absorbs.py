"""What one rule's incident says about another rule's findings never runs in a circle."""

from graphlib import TopologicalSorter

from pgvigil import registry


def test_the_absorbs_relation_names_rules_and_has_no_cycle() -> None:
    """A cycle would make two incidents each other's child, and nobody would hear of either."""
    rules = registry.rules()
    assert {name for rule in rules.values() for name in rule.absorbs} <= rules.keys()
    TopologicalSorter({name: rule.absorbs for name, rule in rules.items()}).prepare()
