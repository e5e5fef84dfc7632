"""The steps of a drill: what a rehearsal needs around the restore's own steps."""
