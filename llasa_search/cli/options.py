"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str, typer.Option(help='"tiny", a Hugging Face id such as HKUSTAudio/Llasa-1B, or a local folder.')
]
Codec = Annotated[
    str | None, typer.Option(help="The codec's id or folder; by default, the one that belongs to the model.")
]
Verifiers = Annotated[
    list[str] | None,
    typer.Option(help="A reward to maximise, as NAME or NAME=WEIGHT; repeat the option for a weighted sum."),
]
