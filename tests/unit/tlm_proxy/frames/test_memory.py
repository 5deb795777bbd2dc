import ctypes

from isocenter.tlm_proxy.frames import memory


def test_glibc_takes_it():
    assert memory.give_big_blocks_back() == hasattr(ctypes.CDLL(None), "mallopt")


def test_another_c_library_is_no_failure(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not memory.give_big_blocks_back()
