"""What all HTTP/2 connections of one listener share; made when its first one comes, anew after a reload."""

from typing import Any

from meshd.downstream.h2.cells import Http2Cells
from meshd.model.http2 import settings_of


class Http2Rules:
    """``settings`` are a session's, ``keepalive`` the model's Keepalive."""

    __slots__ = ("settings", "engine", "keepalive", "cells")

    def __init__(self, spec: Any, metrics: Any, name: str) -> None:
        http, limits = spec.http, spec.limits
        self.settings = settings_of(
            http.http2, limits.max_head_bytes, limits.max_fields, http.headers_with_underscores_action,
            limits.buffer_high_bytes, limits.buffer_low_bytes)
        self.engine = http.http2.engine
        self.keepalive = http.http2.connection_keepalive
        self.cells = Http2Cells(metrics, name)
