"""What several rules' findings are when they begin together."""

from pgvigil.model.together import Together

# Two readings of the statements and what makes the second late.
SLOW_DOWN = Together(name="server-wide slow-down", least=3, within_s=300.0, least_share_percent=30.0)

# A deployment or a restore goes on for some minutes, and the catalogue is read every ten.
SCHEMA_CHANGE = Together(name="schema change", least=3, within_s=900.0, in_one_database=True)
