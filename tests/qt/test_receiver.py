import gc
import subprocess
import sys
import weakref

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject

from qhttpserver_py._qt.receiver import Receiver, without_owner


class Page(QObject):
    def method(self, *arguments, **keywords):
        return self, arguments, keywords


def test_the_object_is_not_kept_alive(qapp):
    page = Page()
    told = []
    receiver = Receiver(page)
    receiver.watch(lambda: told.append(1))
    assert receiver.object() is page
    gone = weakref.ref(page)
    del page
    assert gone() is None
    assert told == [1]
    receiver.release()
    assert receiver.object() is None


@pytest.mark.parametrize("end", ["delete", "deleteLater", "parent"])
def test_every_end_is_reported_once(qapp, end):
    parent = QObject()
    page = Page(parent)
    told = []
    receiver = Receiver(page)
    receiver.watch(lambda: (told.append(1), receiver.release()))
    if end == "delete":
        shiboken6.delete(page)
    elif end == "parent":
        shiboken6.delete(parent)
    else:
        page.deleteLater()
        QCoreApplication.sendPostedEvents(page, QEvent.Type.DeferredDelete)
    assert told == [1]
    assert receiver.object() is None


def test_a_released_receiver_is_not_called(qapp):
    page = Page()
    told = []
    receiver = Receiver(page)
    receiver.watch(lambda: told.append(1))
    receiver.release()
    receiver.release()
    assert page.receivers("2destroyed()") == 0
    shiboken6.delete(page)
    assert told == []


def test_a_watch_may_go_first(qapp):
    page = Page()
    receiver = Receiver(page)
    receiver.watch(lambda: None)
    shiboken6.delete(receiver._watch)
    receiver.release()


def test_a_destroyed_object_is_reported_at_once(qapp):
    page = Page()
    receiver = Receiver(page)
    shiboken6.delete(page)
    told = []
    receiver.watch(lambda: told.append(1))
    assert told == [1]


def test_an_object_that_outlives_its_wrapper_is_wrapped_again(qapp):
    parent = QObject()
    receiver = Receiver(QObject(parent))
    receiver.watch(lambda: None)
    gc.collect()
    again = receiver.object()
    assert again is not None
    assert again.parent() is parent


def test_unwatched_it_is_known_by_its_wrapper_alone(qapp):
    page = Page()
    receiver = Receiver(page)
    assert receiver.object() is page
    del page
    assert receiver.object() is None


def test_watching_leaves_nothing_on_the_object(qapp):
    page = Page()
    before = page.receivers("2destroyed()")
    for _ in range(10):
        Receiver(page).watch(lambda: None)
    gc.collect()
    assert page.receivers("2destroyed()") == before


def test_a_method_of_the_owner_does_not_keep_it(qapp):
    page = Page()
    call = without_owner(page.method, page)
    assert call(1, key=2) == (page, (1,), {"key": 2})
    gone = weakref.ref(page)
    del page
    assert gone() is None
    with pytest.raises(RuntimeError, match=r"the object of method\(\) is gone"):
        call()


def test_a_builtin_method_of_the_owner_does_not_keep_it(qapp):
    page = Page()
    call = without_owner(page.setObjectName, page)
    call("named")
    assert page.objectName() == "named"
    gone = weakref.ref(page)
    del page
    assert gone() is None


def test_other_callables_stay_as_they_are(qapp):
    page, other = Page(), Page()
    assert without_owner(print, page) is print
    method = other.method
    assert without_owner(method, page) is method


def test_nothing_is_called_when_the_interpreter_ends():
    """Rules, contexts and servers of every ownership exist until the end of the process."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEFT_BEHIND], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


LEFT_BEHIND = """
from PySide6.QtCore import QCoreApplication, QObject
from qhttpserver_py.qhttpserverrequest import QHttpServerRequest
from qhttpserver_py.qhttpserverrouter import QHttpServerRouter

app = QCoreApplication([])

class Page(QObject):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.server = QObject(self)
        self.router = QHttpServerRouter(self.server)
        for context in (self, self.server, parent):
            if context is not None:
                self.router._add_view("/x", QHttpServerRequest.Method.Get, context, self.handler)

    def handler(self, request):
        return "x"

page, child = Page(), Page(app)
"""
