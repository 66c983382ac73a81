"""Progress on a terminal."""

import sys
import threading
from collections.abc import Callable


def progress_bar() -> Callable[..., None]:
    """Makes a callback that draws a bar on a terminal, for work of over two seconds.

    Returns:
      A function of what is done, how much of it, of how much, and, where that is worth telling,
      what comes next. The bar says how much time is left too.
    """
    from tqdm import tqdm

    # Its own lock is for bars of several processes: a semaphore, which Python 3.14 warns of when a
    # worker's request ends.
    tqdm.set_lock(threading.RLock())
    bars: dict[str, tqdm] = {}

    def show(what: str, done: int, total: int, following: str = "") -> None:
        if what not in bars:
            bars[what] = tqdm(
                total=total, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty()
            )
        bars[what].set_postfix_str(following, refresh=False)
        bars[what].update(done - bars[what].n)
        if done == total:
            bars.pop(what).close()

    return show
