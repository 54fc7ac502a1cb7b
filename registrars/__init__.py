"""Getting DS to the parent."""
