"""The options of the commands, in the groups that commands share."""
