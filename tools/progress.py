"""Progress on a terminal."""

import sys
import threading
from collections.abc import Callable


def progress_bar() -> Callable[[str, int, int], None]:
    """Makes a callback that draws a bar on a terminal, for work of over two seconds.

    Returns:
      A function of what is done, how much of it, and of how much.
    """
    from tqdm import tqdm

    # Its own lock is for bars of several processes: a semaphore, which Python 3.14 warns of when a
    # worker's request ends.
    tqdm.set_lock(threading.RLock())
    bars: dict[str, tqdm] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = tqdm(
                total=total, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty()
            )
        bars[what].update(done - bars[what].n)
        if done == total:
            bars.pop(what).close()

    return show
