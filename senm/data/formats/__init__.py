"""One file a published set or container: what is read, checked and cut into prepared folders."""
