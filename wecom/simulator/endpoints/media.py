"""Media (素材, reference §17)."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from wecom.simulator.agenda import act
from wecom.simulator.content import check_media_id
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.files import FetchJob, seconds_of, size_of, voice_seconds
from wecom.simulator.wire import MESSAGES, Binary, Body, Call, Upload, endpoint
from wecom.simulator.world import Corp, Media

MB = 1024 * 1024
LARGEST = {"image": 10 * MB, "voice": 2 * MB, "video": 10 * MB, "file": 20 * MB}
UPLOADIMG_LARGEST = 2 * MB
SMALLEST = 5  # bytes; a file must be larger
MOMENTS, ALBUM = 1, 2
CHUNK_LARGEST = 20 * MB  # above this media/get needs a Range
LONG_SIDE, SHORT_SIDE, VIDEO_SECONDS = 10_800, 1080, 30  # of attachments for Moments
VOICE_SECONDS = 60
JOB_SECONDS, JOB_LIVES = 3, 3600


@endpoint("POST", "media/upload", kinds=MESSAGES)
def upload(call: Call) -> Body:
    """?type=image|voice|video|file, multipart `media` → media_id (3 days), created_at as a string. Official 90253."""
    kind = call.query.get("type", "")
    if kind not in LARGEST:
        raise Refused(40005)
    media = _store(call, kind, _checked(call, kind))
    return {"type": kind, "media_id": media.media_id, "created_at": str(media.created_at)}


@endpoint("POST", "media/upload_attachment", kinds=MESSAGES)
def upload_attachment(call: Call) -> Body:
    """?media_type=image|video|file&attachment_type=1|2, multipart `media` → type, media_id, created_at as a number."""
    kind = call.query.get("media_type", "")
    scene = call.query.get("attachment_type", "")
    if kind not in ("image", "video", "file") or scene not in ("1", "2"):
        raise Refused(40005)
    if int(scene) == ALBUM and kind != "image":
        raise Refused(40005)
    given = _checked(call, kind)
    if len(given.content) > 10 * MB:
        raise Refused(41080)
    if int(scene) == MOMENTS:
        _check_measures(kind, given.content)
    media = _store(call, kind, given, attachment_type=int(scene))
    return {"type": kind, "media_id": media.media_id, "created_at": media.created_at}


@endpoint("POST", "media/uploadimg", kinds=MESSAGES)
def upload_image(call: Call) -> Body:
    """Multipart `media`, JPG or PNG up to 2 MB → url, permanent. Official 90256."""
    given = _checked(call, "image")
    if len(given.content) > UPLOADIMG_LARGEST:
        raise Refused(40009)
    corp = call.corp
    url = f"{call.base_url}/_sim/images/{corp.corpid}/{corp.new_id('', 40)}"
    corp.media[url] = Media(
        url, "image", given.filename, call.now, len(given.content), permanent=True, content=given.content
    )
    return {"url": url}


@endpoint("GET", "media/get", kinds=MESSAGES)
def get_media(call: Call) -> Body | Binary:
    """media_id → the file, or the Range of it; JSON with 40007 when it is unknown or expired. Official 90254."""
    return _file(call)


@endpoint("GET", "media/get/jssdk", kinds=MESSAGES)
def get_voice(call: Call) -> Body | Binary:
    """media_id of a voice recorded by the JS-SDK → the file."""
    return _file(call)


@endpoint("POST", "media/upload_by_url", kinds=MESSAGES, empty={"jobid": ""})
def upload_by_url(call: Call) -> Body:
    """scene 1, type video|file, filename, url, md5 → jobid, good for 60 minutes. The URL of a file that this simulator
    serves is fetched in truth (its md5 counts); any other cannot be reached: 830003 as the job's outcome."""
    if call.number("scene", missing=40058) != 1 or call.text("type", missing=40058) not in ("video", "file"):
        raise Refused(40058, "invalid scene or type")
    filename = call.text("filename", missing=40058, bytes_=128)
    url, md5 = call.text("url", missing=830001, bytes_=1024), call.text("md5", missing=301019)
    if not url.startswith(("http://", "https://")):
        raise Refused(830001)
    if not re.fullmatch(r"[0-9a-fA-F]{32}", md5):
        raise Refused(301019)
    jobid = call.corp.new_id("", 43)
    now = call.engine.clock.now()
    ready_at = now + call.engine.clock.human(JOB_SECONDS)
    outcome = _fetched(call, filename, url, md5)
    call.engine.fetch_jobs[jobid] = FetchJob(jobid, call.corp.corpid, ready_at, now, outcome)
    call.engine.agenda.schedule(ready_at, call.corp.corpid, "finish_fetch", jobid, str(call.app.agentid))
    return {"jobid": jobid}


@endpoint("POST", "media/get_upload_by_url_result", kinds=MESSAGES)
def get_upload_by_url_result(call: Call) -> Body:
    """jobid → status 1 running, 2 done, 3 failed; detail {errcode, errmsg, media_id, created_at}."""
    job = call.engine.fetch_jobs.get(call.text("jobid", missing=40058))
    now = call.engine.clock.now()
    if job is None or job.corpid != call.corp.corpid or now - job.created_at > JOB_LIVES:
        raise Refused(40058, "invalid jobid")
    if now < job.ready_at:
        return {"status": 1, "detail": {"errcode": 0, "errmsg": "", "media_id": "", "created_at": ""}}
    return {"status": 2 if job.outcome["errcode"] == 0 else 3, "detail": job.outcome}


@act("finish_fetch")
def finish_fetch(engine: Engine, corp: Corp, jobid: str, agentid: str = "") -> None:
    """WeCom has fetched the file, or given up: upload_media_job_finish (reference §21.6) to the app that asked."""
    job = engine.fetch_jobs.get(jobid)
    app = next((each for each in corp.apps if str(each.agentid) == agentid), None)
    if job is not None and app is not None:
        job.ready_at = min(job.ready_at, engine.clock.now())
        engine.emit_of_app(corp, app, "upload_media_job_finish", [("JobId", jobid)])


def _file(call: Call) -> Binary:
    """The file or the part of it that a Range names. Raises Refused 41006, 40007, 830002."""
    media_id = call.text("media_id", missing=41006)
    check_media_id(call.corp, media_id, now=call.now)
    media = call.corp.media[media_id]
    total = len(media.content)
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("Range", ""))
    if wanted is None:
        if total > CHUNK_LARGEST:
            raise Refused(830002)
        return Binary(media.filename, media.content)
    start, end = int(wanted[1]), min(int(wanted[2] or total - 1), total - 1)
    if start > end or end - start + 1 > CHUNK_LARGEST:
        raise Refused(830002)
    shown = {"Content-Range": f"bytes {start}-{end}/{total}", "Accept-Ranges": "bytes"}
    return Binary(media.filename, media.content[start : end + 1], headers=shown, status=206)


def _fetched(call: Call, filename: str, url: str, md5: str) -> dict[str, Any]:
    """The outcome of fetching a URL: nothing but what this simulator serves can be reached."""
    source = call.corp.media.get(url)
    errcode, text, media_id, created_at = 830003, "download failed", "", ""
    if source is not None and hashlib.md5(source.content).hexdigest() != md5.lower():
        errcode, text = 301019, "invalid md5"
    elif source is not None:
        media = _store(call, call.text("type"), Upload(filename, source.content))
        errcode, text, media_id, created_at = 0, "ok", media.media_id, str(media.created_at)
    return {"errcode": errcode, "errmsg": text, "media_id": media_id, "created_at": created_at}


def _check_measures(kind: str, content: bytes) -> None:
    """Raises Refused 41081 (pixels), 41082 (seconds)."""
    if kind == "image" and (size := size_of(content)) and (max(size) > LONG_SIDE or min(size) > SHORT_SIDE):
        raise Refused(41081)
    if kind == "video" and (seconds_of(content) or 0) > VIDEO_SECONDS:
        raise Refused(41082)


def _store(call: Call, kind: str, given: Upload, *, attachment_type: int = 0) -> Media:
    corp = call.corp
    media = Media(
        corp.new_id("", 64),
        kind,
        given.filename,
        call.now,
        len(given.content),
        attachment_type=attachment_type,
        content=given.content,
    )
    corp.media[media.media_id] = media
    return media


def _checked(call: Call, kind: str) -> Upload:
    """The uploaded part. Raises Refused 44001 (none or empty), 40006, 45001, 40004, 41090."""
    given = call.upload
    if given is None or not given.content:
        raise Refused(44001)
    if len(given.content) <= SMALLEST:
        raise Refused(40006)
    if len(given.content) > LARGEST[kind]:
        raise Refused(45001)
    head = given.content[:12]
    if kind == "image" and not head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        raise Refused(40004)
    if kind == "voice" and not head.startswith(b"#!AMR"):
        raise Refused(40004)
    if kind == "voice" and voice_seconds(given.content) > VOICE_SECONDS:
        raise Refused(45007)
    if kind == "video" and head[4:8] != b"ftyp":
        raise Refused(41090)
    return given
