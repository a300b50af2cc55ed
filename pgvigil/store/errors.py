"""What a caller of the store may meet at run time."""


class StoreError(Exception):
    """A read or write did not happen, wholly: a full disk, an I/O error, a store opened for reading.

    Nothing of it is kept, and the same call may succeed later. The message is safe to log.
    """
