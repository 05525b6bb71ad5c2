# Read for commands over SSH too, where nothing else sets the path.
. /etc/profile
