"""Amazon's API as the two Route 53 drivers need it, by boto3."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers

from registrars import options
from registrars.hidden import Hidden
from registrars.protocol import Context, RegistrarError

T = TypeVar("T")
REGION = "us-east-1"
OPTIONS = options.Options(
    # What boto3 knows by itself.
    endpoint=None,
    optional_secrets=("access-key", "secret-key", "session-token"),
    together=("access-key", "secret-key"),
)
# botocore tells at DEBUG what it signs and sends, session tokens among it.
for _chatty in ("boto3", "botocore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

# The same call may succeed later.
_PASSING = frozenset(
    {
        "DuplicateRequest",
        "InternalError",
        "InternalFailure",
        "OperationLimitExceeded",
        "PriorRequestNotComplete",
        "RequestAbortedException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_REMEDIES = {
    "AccessDenied": "see to what the credentials may do",
    "AccessDeniedException": "see to what the credentials may do",
    "DnssecLimitExceeded": "have a key at the registrar taken away that is not used",
    "ExpiredTokenException": "see to the credentials",
    "InvalidClientTokenId": "see to the credentials",
    "NoSuchHostedZone": "see to zone-id",
    "NotAuthorized": "see to what the credentials may do",
    "RequestExpired": "set this machine's clock",
    "SignatureDoesNotMatch": "see to the credentials",
    "TLDRulesViolation": "see what the top-level domain allows",
    "UnrecognizedClientException": "see to the credentials",
    "UnsupportedTLD": "take the registrar line out, and bring the DS there otherwise",
}


@attrs.frozen
class Account:
    """Who asks, and how errors are told. Without secrets boto3 looks for credentials itself:
    profile, the machine's role."""

    name: str
    endpoint: str
    timeout: float
    secrets: dict[str, str] = attrs.field(repr=False)
    hidden: Hidden = attrs.field(repr=False)

    def session(self) -> boto3.session.Session:
        return boto3.session.Session(
            aws_access_key_id=self.secrets.get("access-key"),
            aws_secret_access_key=self.secrets.get("secret-key"),
            aws_session_token=self.secrets.get("session-token"),
            region_name=REGION,
        )

    def config(self) -> botocore.config.Config:
        """One try: who calls backs off by itself."""
        return botocore.config.Config(
            connect_timeout=self.timeout,
            read_timeout=self.timeout,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )

    def call(self, what: str, call: Callable[[], T]) -> T:
        """Raises RegistrarError for whatever botocore raises, and where the answer lacks what
        `call` takes from it."""
        place = f"{self.name} {what}"
        try:
            return call()
        except botocore.exceptions.ClientError as error:
            raise self._refused(place, error.response) from None
        except (
            botocore.exceptions.HTTPClientError,
            botocore.exceptions.ConnectionError,
        ) as error:
            raise self.error(place, str(error), "it is tried again", passing=True) from None
        except (botocore.parsers.ResponseParserError, KeyError, ValueError):
            raise self.error(
                place, "answered what is no answer", "it is tried again", passing=True
            ) from None
        except botocore.exceptions.BotoCoreError as error:
            raise self.error(place, str(error), "see to the credentials and endpoint") from None

    def _refused(self, place: str, response: Any) -> RegistrarError:
        """`response` is a parsed error; its parts may lack."""
        told = response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        meta = response.get("ResponseMetadata", {})
        status = int(meta.get("HTTPStatusCode", 0))
        passing = code in _PASSING or status >= 500 or status == 429
        wait = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
        return self.error(
            place,
            f"{'not now' if passing else 'refused'}: {code} ({message})",
            "it is tried again" if passing else _REMEDIES.get(code, "see what it says"),
            passing=passing,
            after=float(wait) if passing and wait.isascii() and wait.isdecimal() else None,
            code=code,
        )

    def error(
        self,
        place: str,
        message: str,
        remedy: str,
        *,
        passing: bool = False,
        after: float | None = None,
        code: str = "",
    ) -> "AmazonError":
        return AmazonError(
            self.hidden.scrubbed(place),
            self.hidden.scrubbed(message),
            remedy,
            passing=passing,
            after=after,
            code=code,
        )


class AmazonError(RegistrarError):
    """With Amazon's own name for it; empty where it has none."""

    def __init__(
        self,
        place: str,
        message: str,
        remedy: str,
        *,
        passing: bool = False,
        after: float | None = None,
        code: str = "",
    ) -> None:
        super().__init__(place, message, remedy, passing=passing, after=after)
        self.code = code


def account(name: str, config: options.Settings, context: Context) -> Account:
    """Raises RegistrarError where a secret can't be had."""
    secrets = options.resolved(config, context, f"registrar {name}")
    return Account(name, config.endpoint, context.timeout, secrets, Hidden(*secrets.values()))
