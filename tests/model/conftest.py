from databases import catalog, database, postgres_server

__all__ = ["catalog", "database", "postgres_server"]
