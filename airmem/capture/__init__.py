"""Stores: the raw bytes of a tree of processes in one file, so that every question can be asked of it elsewhere."""
