import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from isocenter.storescp.commitment.asking import Asking

EXIT = """
import threading, time
from isocenter.storescp.commitment.asking import Asking
asking, begun = Asking(1, "s3"), threading.Event()

def hang(_):
    begun.set()
    time.sleep(60)

threading.Thread(target=asking.map, args=(hang, [1, 2]), daemon=True).start()
begun.wait()
asking.close()
"""


def test_answers_come_in_the_order_of_the_things_and_at_once():
    asking, together = Asking(3, "s3"), threading.Barrier(3, timeout=5)

    def ask(number):
        together.wait()
        return -number

    assert asking.map(ask, range(3)) == [0, -1, -2]
    assert asking.map(str, range(100)) == [str(n) for n in range(100)]
    assert asking.map(str, []) == []
    asking.close()


def test_an_error_is_of_who_asked():
    asking = Asking(2, "s3")
    with pytest.raises(ZeroDivisionError):
        asking.map(lambda n: 1 / n, [1, 0])
    assert asking.map(str, [1]) == ["1"]
    asking.close()


def test_closed_it_asks_nothing():
    asking = Asking(2, "s3")
    assert asking.map(str, [1]) == ["1"]
    asking.close()
    with pytest.raises(CancelledError):
        asking.map(str, [1])


def test_exit_waits_for_no_call():
    subprocess.run([sys.executable, "-c", EXIT], timeout=30, check=True)
