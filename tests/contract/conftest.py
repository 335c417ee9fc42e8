from rig import rig

__all__ = ["rig"]
