"""Translation of boto3's errors into ours: refused for good, or worth another try."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from include.disaster_recovery.errors import DisasterRecoveryError, StoreRefused, StoreUnavailable

# Without permission on it, a bucket that does not exist is answered in the same way.
_DENIED = "grant the connection's key this action on the bucket and its prefixes, and check the name s3.bucket"
_HINTS = {
    "NoSuchBucket": "create the bucket, or mend s3.bucket in the settings",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "mend login and password of the Airflow connection collabhunts_s3",
    "SignatureDoesNotMatch": "mend login and password of the Airflow connection collabhunts_s3",
    "ExpiredToken": "renew the session token of the Airflow connection collabhunts_s3, or give it a role_arn",
    "InvalidToken": "renew the session token of the Airflow connection collabhunts_s3, or give it a role_arn",
    "400": "S3 gives no reason to a HEAD: look for an expired session token, and for a clock that is wrong",
    "RequestTimeTooSkewed": "set the clock of the Airflow worker: S3 takes no request that is 15 minutes off",
    "NoSuchKey": "the object is gone; list the backups, or trigger a new one",
    "404": "check bucket and key",
}
_FULL = {"InsufficientStorage", "507", "QuotaExceeded", "XMinioStorageFull"}
_TRY_AGAIN_BELOW_500 = {"408", "429", "RequestTimeout", "SlowDown", "Throttling", "OperationAborted", "BadDigest"}


def error_code(error: ClientError) -> str:
    """The S3 error code, or the HTTP status where a HEAD brings no code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Whether the error says that the key, upload or bucket does not exist."""
    return error_code(error) in {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}


def is_precondition(error: ClientError) -> bool:
    """Whether a conditional request lost: the object is already there, or is being written."""
    return error_code(error) in {"412", "PreconditionFailed", "ConditionalRequestConflict", "409"}


@contextmanager
def translated(action: str, bucket: str, key: str = "") -> Iterator[None]:
    """Raise our errors instead of boto3's.

    Raises:
        StoreRefused: the server denied the request for good.
        StoreUnavailable: the server failed, is full or was not reached.
    """
    where = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, action, where) from error
    except (NoCredentialsError, PartialCredentialsError, ParamValidationError) as error:
        raise StoreRefused(
            f"{action} {where} failed: {type(error).__name__}: {str(error)[:200]}",
            hint="mend login, password and extra of the Airflow connection collabhunts_s3",
        ) from error
    except (HTTPClientError, BotoCoreError) as error:
        raise StoreUnavailable(
            f"{action} {where} failed: {type(error).__name__}: {str(error)[:200]}",
            hint="check that the S3 server is up and that endpoint_url of the connection collabhunts_s3 is right",
        ) from error


def _from_answer(error: ClientError, action: str, where: str) -> DisasterRecoveryError:
    code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = str(error.response.get("Error", {}).get("Message", ""))[:200]
    fact = f"{action} {where} failed: {code} {message}".rstrip()
    if status >= 500 or code in _TRY_AGAIN_BELOW_500 | _FULL:
        full = code in _FULL or "space" in message.lower()
        hint = "free space on the S3 server" if full else "the S3 server failed; see its log, free space included"
        return StoreUnavailable(fact, hint=hint)
    return StoreRefused(fact, hint=_HINTS.get(code, "see the code in the S3 server's documentation"))
