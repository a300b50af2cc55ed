"""Host names to addresses, outside libpq and with a deadline.

libpq resolves names with a blocking call under Python's global lock: one dead resolver would stop every
target, the scheduler and the health page. Here a daemon thread asks; who waits for it gives up in time.
"""

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.errors import ReadError, classify, our_want, safe_text

Parameters = dict[str, str]


@dataclass(slots=True)
class _Lookup:
    """One question to the resolver, shared by all who ask for the same host while it is open."""

    done: threading.Event = field(default_factory=threading.Event)
    addresses: tuple[str, ...] = ()
    error: str = "no address"
    given_up: bool = False  # somebody who waited for it did not get it
    ended_mono_s: float = 0.0


LATE_S = 10.0  # so long an answer is kept that came after the one who asked had given up

_open: dict[str, _Lookup] = {}
_lock = threading.Lock()


def attempts(parameters: Parameters, timeout_s: float) -> tuple[Parameters, ...]:
    """One set of parameters per address to try, in the order libpq would; each with at most one host.

    A host that cannot be resolved is left out. Raises ReadError with kind DNS when no address is left, also
    because the lists of hosts and ports do not fit together.
    """
    hosts = _split_hosts(parameters)
    deadline_s = time.monotonic() + timeout_s
    lookups = {each["host"]: _begin(each["host"]) for each in hosts if _needs_lookup(each)}
    found: list[Parameters] = []
    errors: list[str] = []
    for each in hosts:
        lookup = lookups.get(each.get("host", ""))
        if lookup is None:
            found.append(each)
            continue
        lookup.given_up |= not lookup.done.wait(max(0.0, deadline_s - time.monotonic()))
        found += [{**each, "hostaddr": address} for address in lookup.addresses]
        if not lookup.addresses:
            reason = lookup.error if lookup.done.is_set() else f"no answer within {timeout_s:g}s"
            errors.append(f"host name {each['host']} could not be resolved: {reason}")
    if not found:
        raise ReadError(our_want() or Failure(FailureKind.DNS, safe_text(errors[0])))
    return _prefer_standby(found)


def _split_hosts(parameters: Parameters) -> list[Parameters]:
    """`host=a,b port=1,2` to one set each; a single port holds for all hosts."""
    lists = {key: parameters[key].split(",") for key in ("host", "hostaddr", "port") if parameters.get(key)}
    count = max((len(lists[key]) for key in ("host", "hostaddr") if key in lists), default=1)
    if len(lists.get("port", ())) == 1:
        lists["port"] *= count
    if any(len(values) != count for values in lists.values()):
        message = "the connection string lists different numbers of hosts, addresses and ports"
        raise ReadError(Failure(FailureKind.DNS, message))
    return [{**parameters, **{key: values[i] for key, values in lists.items()}} for i in range(count)]


def _needs_lookup(parameters: Parameters) -> bool:
    host = parameters.get("host", "")
    return bool(host) and not parameters.get("hostaddr") and host[0] not in "/@" and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _prefer_standby(found: list[Parameters]) -> tuple[Parameters, ...]:
    """What libpq decides over its whole list, done by us, who hand it one address at a time."""
    if found[0].get("target_session_attrs") != "prefer-standby":
        return tuple(found)
    return tuple({**each, "target_session_attrs": role} for role in ("standby", "any") for each in found)


def _begin(host: str) -> _Lookup:
    """Joins the open lookup of `host` or starts one, so that a dead resolver holds one thread per host at most.

    A resolver that takes longer than anybody waits would otherwise never be heard: a late answer is kept a while.
    """
    with _lock:
        lookup = _open.get(host)
        if lookup is None or (lookup.done.is_set() and time.monotonic() - lookup.ended_mono_s > LATE_S):
            lookup = _Lookup()
            name = f"pgvigil-resolve-{host}"
            thread = threading.Thread(target=_look_up, args=(host, lookup), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread to be had: our fault, and not for good
                raise ReadError(classify(error)) from None
            _open[host] = lookup
        return lookup


def _look_up(host: str, lookup: _Lookup) -> None:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        lookup.addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
    except OSError as error:
        lookup.error = error.strerror or type(error).__name__
    except UnicodeError:
        lookup.error = "not a host name"
    finally:
        with _lock:
            lookup.ended_mono_s = time.monotonic()
            if not (lookup.given_up and lookup.addresses):
                del _open[host]
            lookup.done.set()
