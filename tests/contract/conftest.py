from databases import catalog, database, postgres_server
from rig import rig

__all__ = ["catalog", "database", "postgres_server", "rig"]
