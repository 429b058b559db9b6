"""The application: it knows no Qt, so that the same object runs in a window and under uvicorn.

uvicorn outgrown:app --workers 4
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

PATH = os.environ.get("NOTES") or str(Path(tempfile.gettempdir()) / "notes.sqlite")
listeners: list[Callable[[int, str], None]] = []
"""Called with each note that is written: the window appends itself, a server on its own has none."""


class Note(BaseModel):
    text: str


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(PATH, timeout=10)
    connection.execute("create table if not exists notes (number integer primary key, text)")
    return connection


app = FastAPI()


@app.put("/notes/{number}")
async def write(number: int, note: Note) -> Note:
    connection = database()
    with connection:
        connection.execute("insert or replace into notes values (?, ?)", (number, note.text))
    connection.close()
    for listener in listeners:
        listener(number, note.text)
    return note


@app.get("/notes/{number}")
async def read(number: int) -> Note:
    connection = database()
    found = connection.execute("select text from notes where number = ?", (number,)).fetchone()
    connection.close()
    if found is None:
        raise HTTPException(404, "no such note")
    return Note(text=found[0])


@app.get("/worker")
async def worker() -> int:
    return os.getpid()
