"""A browser's part in the page's forms, without a browser: its cookie, its headers, and what the forms hold."""

import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPMessage
from typing import Any


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_given: Any) -> None:
        """What is answered is looked at, not followed."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: HTTPMessage

    @property
    def to(self) -> str:
        """Where it leads."""
        return self.headers.get("location", "")


@dataclass
class Presser:
    """Somebody at the page. `headers` go with everything that is sent."""

    url: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Accept": "text/html"})

    def get(self, path: str = "/", **headers: str) -> Answer:
        return self.send(path, None, headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url}
        return self.send(path, urllib.parse.urlencode(fields).encode(), sent | headers)

    def log_in(self, token: str = "ana-token", **fields: str) -> Answer:
        answer = self.post("/login", {"token": token, **fields})
        given = answer.headers.get("set-cookie", "")
        self.cookie = given.partition(";")[0] or self.cookie
        return answer

    def form(self, page: str, **wanted: str) -> tuple[str, dict[str, str]]:
        """Of a page's form that has these values: where it is sent, and all its hidden fields."""
        text = self.get(page).text
        for action, inside in re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', text, re.DOTALL):
            pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', inside)
            fields = {name: unescape(value) for name, value in pairs}
            if wanted.items() <= {"to": action, **fields}.items():
                return urllib.parse.urljoin(page, unescape(action)), fields
        raise AssertionError(f"no form with {wanted} on {page}")

    def press(self, page: str, wanted: dict[str, str], **typed: str) -> Answer:
        path, fields = self.form(page, **wanted)
        return self.post(path, fields | typed)

    def send(self, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        request = urllib.request.Request(self.url + path, body, {**self.headers, **cookie, **headers})
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=10) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), error.headers)
