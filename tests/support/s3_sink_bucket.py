"""What the S3 sink knows: objects by bucket and key, and S3's answers about them."""

import base64
import hashlib
import itertools
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
_REASONS = {
    "BadDigest": 400,
    "InvalidPart": 400,
    "XAmzContentSHA256Mismatch": 400,
    "AccessDenied": 403,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "PreconditionFailed": 412,
    "NotImplemented": 501,
    "SlowDown": 503,
}


@dataclass
class Body:
    """A request's body as it came.

    Attributes:
        sha256: hexadecimal.
        data: its bytes; None if there were more than are kept.
    """

    size: int
    sha256: str
    crc32: int
    data: bytes | None


@dataclass
class Stored:
    """An object."""

    size: int
    sha256: str
    data: bytes | None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self):
        return f'"{self.sha256[:32]}"'


@dataclass
class Request:
    """A request whose body has come."""

    method: str
    target: str
    headers: dict[str, str]
    body: Body

    def __post_init__(self):
        path, _, query = self.target.partition("?")
        self.path = unquote(path)
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.bucket, _, self.key = self.path[1:].partition("/")


@dataclass
class Answer:
    """What the client gets."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


class S3Error(Exception):
    """An error answer by its code."""

    def answer(self):
        code = str(self)
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        return Answer(_REASONS[code], {}, body.encode())


class Buckets:
    """All objects; any bucket exists.

    Attributes:
        objects: by ``(bucket, key)``.
        counts: puts, overwritten, altered (overwritten by other bytes), refused …
    """

    def __init__(self):
        self.objects = {}
        self.counts = {
            "puts": 0,
            "overwritten": 0,
            "altered": 0,
            "bad_digests": 0,
            "bytes": 0,
        }
        self._uploads = {}
        self._ids = itertools.count(1)

    def answer(self, request):
        """Carry out a request."""
        try:
            operation = f"_{request.method.lower()}"
            operation += "_object" if request.key else "_bucket"
            return getattr(self, operation, not_implemented)(request)
        except S3Error as error:
            self.counts["bad_digests"] += str(error) in {
                "BadDigest",
                "XAmzContentSHA256Mismatch",
            }
            return error.answer()

    def _put_object(self, request):
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
            raise S3Error("AccessDenied")
        if "x-amz-copy-source" in request.headers:
            return self._copy(request)
        check_digests(request)
        body = request.body
        if "uploadId" in request.query:
            parts = self._upload(request)
            parts[int(request.query["partNumber"])] = body
            return Answer(headers={"ETag": f'"{body.sha256[:32]}"'})
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.startswith("x-amz-meta-")
            or name in {"content-type", "content-encoding"}
        }
        stored = self._store(request, body.size, body.sha256, body.data, headers)
        answer = {"ETag": stored.etag}
        if "x-amz-checksum-sha256" in request.headers:
            answer["x-amz-checksum-sha256"] = request.headers["x-amz-checksum-sha256"]
        return Answer(headers=answer)

    def _store(self, request, size, sha256, data, headers):
        name = (request.bucket, request.key)
        before = self.objects.get(name)
        if before is not None and request.headers.get("if-none-match") == "*":
            raise S3Error("PreconditionFailed")
        self.counts["puts"] += 1
        self.counts["bytes"] += size
        self.counts["overwritten"] += before is not None
        self.counts["altered"] += before is not None and before.sha256 != sha256
        self.objects[name] = stored = Stored(size, sha256, data, headers)
        return stored

    def _copy(self, request):
        source = unquote(request.headers["x-amz-copy-source"]).lstrip("/")
        bucket, _, key = source.partition("/")
        found = self._find(bucket, key)
        stored = self._store(
            request, found.size, found.sha256, found.data, found.headers
        )
        return xml(f"<CopyObjectResult><ETag>{stored.etag}</ETag></CopyObjectResult>")

    def _find(self, bucket, key):
        try:
            return self.objects[bucket, key]
        except KeyError:
            raise S3Error("NoSuchKey") from None

    def _get_object(self, request):
        found = self._find(request.bucket, request.key)
        if found.data is None:
            raise S3Error("NotImplemented")  # too large to be kept
        return Answer(200, described(found), found.data)

    def _head_object(self, request):
        try:
            found = self._find(request.bucket, request.key)
        except S3Error:
            return Answer(404)
        return Answer(200, described(found), b"", found.size)

    def _delete_object(self, request):
        if "uploadId" in request.query:
            self._uploads.pop(request.query["uploadId"], None)
        else:
            self.objects.pop((request.bucket, request.key), None)
        return Answer(204)

    def _post_object(self, request):
        if "uploads" in request.query:
            upload = str(next(self._ids))
            self._uploads[upload] = {}
            return xml(
                "<InitiateMultipartUploadResult>"
                f"<Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        parts = self._upload(request)
        named = ET.fromstring(request.body.data or b"")
        numbers = [
            int(each.text)
            for each in named.iter()
            if each.tag.rpartition("}")[2] == "PartNumber"
        ]
        if numbers != sorted(numbers) or not set(numbers) <= set(parts) or not numbers:
            raise S3Error("InvalidPart")
        bodies = [parts[number] for number in numbers]
        kept = [body.data for body in bodies]
        data = None if None in kept else b"".join(kept)
        joined = "".join(body.sha256 for body in bodies).encode()
        # Without the bytes there is a digest of digests, as S3's own of parts is.
        digest = hashlib.sha256(joined if data is None else data).hexdigest()
        size = sum(body.size for body in bodies)
        stored = self._store(request, size, digest, data, {})
        del self._uploads[request.query["uploadId"]]
        return xml(
            "<CompleteMultipartUploadResult>"
            f"<Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            f"<ETag>{stored.etag}</ETag></CompleteMultipartUploadResult>"
        )

    def _upload(self, request):
        try:
            return self._uploads[request.query["uploadId"]]
        except KeyError:
            raise S3Error("NoSuchUpload") from None

    def _head_bucket(self, _request):
        return Answer()

    def _put_bucket(self, _request):
        return Answer()

    def _get_bucket(self, request):
        query = request.query
        if query.get("list-type") != "2":
            raise S3Error("NotImplemented")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token", query.get("start-after", ""))
        limit = int(query.get("max-keys", "1000"))
        keys = sorted(
            key
            for bucket, key in self.objects
            if bucket == request.bucket and key.startswith(prefix) and key > after
        )
        folders = {}
        contents = []
        for key in keys:
            head, found, _ = key[len(prefix) :].partition(delimiter or "\0")
            if delimiter and found:
                folders[prefix + head + delimiter] = None
            else:
                contents.append(key)
        more = len(contents) > limit
        contents = contents[:limit]
        described_keys = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{stored.size}</Size>"
            f"<ETag>{stored.etag}</ETag>"
            "<LastModified>2026-11-23T12:00:00.000Z</LastModified></Contents>"
            for key in contents
            for stored in [self.objects[request.bucket, key]]
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in folders
        )
        token = (
            f"<NextContinuationToken>{escape(contents[-1])}</NextContinuationToken>"
            if more
            else ""
        )
        return xml(
            f'<ListBucketResult xmlns="{_NAMESPACE}"><Name>{request.bucket}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(contents)}</KeyCount>"
            f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{described_keys}{common}</ListBucketResult>"
        )

    def _post_bucket(self, request):
        if "delete" not in request.query:
            raise S3Error("NotImplemented")
        named = ET.fromstring(request.body.data or b"")
        keys = [each.text for each in named.iter() if each.tag.endswith("Key")]
        for key in keys:
            self.objects.pop((request.bucket, key), None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return xml(f"<DeleteResult>{gone}</DeleteResult>")


def not_implemented(_request):
    """What this S3 has not."""
    raise S3Error("NotImplemented")


def check_digests(request):
    """Compare the body with every digest that the request names.

    Raises:
        S3Error: one of them differs, or is of a kind that is not known.
    """
    named, body = request.headers, request.body
    payload = named.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    if payload.startswith("STREAMING-"):
        raise S3Error("NotImplemented")
    if payload not in {"UNSIGNED-PAYLOAD", body.sha256}:
        raise S3Error("XAmzContentSHA256Mismatch")
    sha256 = base64.b64encode(bytes.fromhex(body.sha256)).decode()
    if named.get("x-amz-checksum-sha256", sha256) != sha256:
        raise S3Error("BadDigest")
    crc32 = base64.b64encode(body.crc32.to_bytes(4, "big")).decode()
    if named.get("x-amz-checksum-crc32", crc32) != crc32:
        raise S3Error("BadDigest")
    if "content-md5" in named and body.data is not None:
        digest = hashlib.md5(body.data, usedforsecurity=False).digest()
        if named["content-md5"] != base64.b64encode(digest).decode():
            raise S3Error("BadDigest")


class Digests:
    """The digests of a body while it comes.

    Args:
        headers: of the request; a CRC-32 is made only if they name one.
        keep: bytes that are kept at most; of a larger body only digests are.
    """

    def __init__(self, headers, keep):
        self._sha256 = hashlib.sha256()
        self._crc32 = 0 if "x-amz-checksum-crc32" in headers else None
        self._kept = bytearray()
        self._keep = int(headers.get("content-length", "0")) <= keep
        self._size = 0

    def update(self, piece):
        self._sha256.update(piece)
        if self._crc32 is not None:
            self._crc32 = zlib.crc32(piece, self._crc32)
        if self._keep:
            self._kept += piece
        self._size += len(piece)

    def body(self):
        data = bytes(self._kept) if self._keep else None
        return Body(self._size, self._sha256.hexdigest(), self._crc32 or 0, data)


def described(stored):
    """Headers of an object."""
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    return {
        "ETag": stored.etag,
        "Last-Modified": _DATE,
        "x-amz-checksum-sha256": digest,
        "x-amz-checksum-type": "FULL_OBJECT",
        **stored.headers,
    }


def xml(text):
    """A document as an answer."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return Answer(200, {"Content-Type": "application/xml"}, (head + text).encode())
