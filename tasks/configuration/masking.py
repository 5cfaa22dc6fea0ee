"""Which values of a configuration are secrets, and how it looks without them.

A secret is known by its key (``api_key``, ``secret``, ``token``, ``password`` ...) or by its place in a URL. One that
the file only refers to, as ``${NAME}`` or ``prefect-secret:BLOCK``, is not written out and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "********"
SECRET_BLOCK = "prefect-secret:"  # noqa: S105 - a prefix that says where the secret is, not a secret

Loc = tuple[str | int, ...]
"""Where a value stands: keys and list indices from the top."""

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
REFERENCE_FORM = rf"^(\$\{{[A-Za-z_][A-Za-z0-9_]*\}}|{SECRET_BLOCK}.+)$"
"""What `is_reference` takes, as a regular expression of a JSON schema."""

_SECRET_WORDS = {"key", "token", "sig", "sas", "pwd", "pass", "auth", "jwt", "cookie"}
_PARTS = ("secret", "passw", "passphrase", "credential", "signature", "apikey", "accesskey", "authorization")
_SECRET_PARTS = re.compile("|".join(_PARTS))


def _in_any_case(words: Iterable[str]) -> str:
    """A pattern of words in upper and lower case, without the flag for it, which patterns of schemas do not have."""
    return "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in sorted(words))


_ANY_PARTS, _ANY_WORDS = _in_any_case(_PARTS), _in_any_case(_SECRET_WORDS)
_CAMEL_WORDS = "|".join(sorted(word.capitalize() for word in _SECRET_WORDS))

SECRET_KEY_FORM = rf"{_ANY_PARTS}|(^|[^A-Za-z])({_ANY_WORDS})([^A-Za-z]|$)|[a-z0-9]({_CAMEL_WORDS})([^a-z]|$)"
"""What `is_secret_key` takes, as a regular expression of a JSON schema."""

_NAMED = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_IN = "[^=&;#]"
_SECRET_NAME = rf"({_IN}*({_ANY_PARTS}){_IN}*|({_IN}*[^A-Za-z=&;#])?({_ANY_WORDS})([^A-Za-z=&;#]{_IN}*)?)"
_NO_SECRET_QUERY = rf"(?!.*[?&;]{_SECRET_NAME}=(?!{_NAMED}(&|;|$))[^&;#])"

PLAIN_FORM = rf"^(?!.*://[^/?#@:]*:(?!{_NAMED}@)[^/?#@]+@){_NO_SECRET_QUERY}"
"""A text without passwords and signatures of URLs, nearly as `mask_text` sees them, for a JSON schema."""

DATABASE_FORM = rf"^(?!postgresql[^:]*://[^@:]*:(?!({_NAMED})?@).*@){_NO_SECRET_QUERY}"
"""A database's address whose password is not written out, for a JSON schema."""
_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s/?#@:]*)(?::(?P<password>[^\s/?#]*))?@", re.I)
_DATABASE_USER_INFO = re.compile(r"(?P<scheme>postgresql[a-z0-9+]*://)(?P<user>[^@:]*)(?::(?P<password>.*))?@", re.I)
_QUERY = re.compile(r"(?P<name>[?&;](?P<key>[^=&;\s]+)=)(?P<value>[^&;#\s]*)")


def is_reference(value: object) -> bool:
    """Whether a value only says where its secret is: wholly ``${NAME}``, or ``prefect-secret:BLOCK``."""
    return isinstance(value, str) and bool(_REFERENCE.fullmatch(value) or value.startswith(SECRET_BLOCK))


def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret, by the key's words (``max_tokens`` is none, ``token`` is)."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key).lower()
    return bool(_SECRET_PARTS.search(words) or _SECRET_WORDS & set(re.split(r"[^a-z0-9]+", words)))


def mask(value: Any) -> Any:  # noqa: ANN401 - any JSON value, and the same shape back
    """The same value with every secret that is written out in it replaced by asterisks."""
    if isinstance(value, Mapping):
        return {key: mask_under(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value


def mask_under(key: str, value: Any) -> Any:  # noqa: ANN401 - as mask
    """The value of one key, masked."""
    if not is_secret_key(key):
        return mask(value)
    return value if value in (None, "") or isinstance(value, bool) or is_reference(value) else MASK


def mask_text(text: str) -> str:
    """A text without the passwords and signatures of the URLs in it; for messages that name an address."""
    pattern = _DATABASE_USER_INFO if text.lower().startswith("postgresql") else _USER_INFO
    return _QUERY.sub(_mask_query, pattern.sub(_mask_user_info, text))


def written_secrets(value: Any, loc: Loc = ()) -> Iterator[Loc]:  # noqa: ANN401 - as mask
    """Where secrets are written out in a configuration."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_secret_key(str(key)):
                if mask_under(str(key), item) != item:
                    yield (*loc, str(key))
            else:
                yield from written_secrets(item, (*loc, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from written_secrets(item, (*loc, index))
    elif isinstance(value, str) and mask_text(value) != value:
        yield loc


def secret_variables(value: Any, *, secret: bool = False) -> Iterator[str]:  # noqa: ANN401 - as mask
    """The variables that secrets come from: those whose value, written out in their place, would be masked.

    Args:
        value: a configuration as written, or a part of one.
        secret: whether the key above makes all of it a secret.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_variables(item, secret=secret or is_secret_key(str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_variables(item, secret=secret)
    elif isinstance(value, str):
        for place in _REFERENCE.finditer(value):
            written_out = value.replace(place[0], "x")
            if secret or mask_text(written_out) != written_out:
                yield place["name"]


def _mask_user_info(found: re.Match[str]) -> str:
    scheme, user, password = found["scheme"], found["user"], found["password"]
    if password is None:
        is_token = scheme.lower().startswith("http") and user and not is_reference(user)
        return f"{scheme}{MASK if is_token else user}@"
    return f"{scheme}{user}:{password if is_reference(password) or not password else MASK}@"


def _mask_query(found: re.Match[str]) -> str:
    value = found["value"]
    keep = not value or is_reference(value) or not is_secret_key(found["key"])
    return found["name"] + (value if keep else MASK)
