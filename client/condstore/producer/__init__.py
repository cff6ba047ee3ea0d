"""Producing: segments streamed into the buffer, payload files put into a global tag.

producer.py   Producer: the two calls
├── streams.py    segments, each under its key; filling.py: of which filling of the buffer
├── putting.py    files, a window at a time
│   ├── files.py      PayloadFile; bytes read and digested piece by piece
│   ├── uploads.py    only what the store lacks
│   └── placing.py    IOVs, all or none; identical.py: which would change no answer
├── listed.py     a CSV list of payload files
├── crowd.py      bounded workers that stop together
├── exchange.py   requests, replicas, patience
├── journal.py    what was acknowledged, for a run that goes on
└── tally.py, report.py   what it came to
"""

from condstore.producer.files import PayloadFile
from condstore.producer.listed import read_list
from condstore.producer.producer import Producer
from condstore.producer.report import PutReport, StreamReport

__all__ = ["PayloadFile", "Producer", "PutReport", "StreamReport", "read_list"]
