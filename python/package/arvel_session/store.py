"""What a store of your own is made of: see the guide's chapter on drivers in Python."""

from ._native import Capabilities, Columns, Conflict, Key, Record, Write

__all__ = ["Capabilities", "Columns", "Conflict", "Key", "Record", "Write"]
