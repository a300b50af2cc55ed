"""`python -m pgvigil.store.migrate FILE`: bring a store to this program's revision, or leave it as it was.

Exit code 1 and one JSON object on stdout (`code`: SQLite's, `message`) when SQLite refuses.
"""

import json
import sys
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from pgvigil.store.database import writing_engine
from pgvigil.store.schema import MIGRATIONS


def main(path: Path) -> int:
    from alembic import command  # noqa: PLC0415 - the daemon imports this package without alembic
    from alembic.config import Config  # noqa: PLC0415 - same

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = writing_engine(path)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0)
        sys.stdout.write(json.dumps({"code": code, "message": str(error.orig)}))
        return 1
    finally:
        engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
