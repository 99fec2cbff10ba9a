"""avsv serve: a web page on this machine to enrol, identify and compare people.

Open the address that it prints. The page records by camera and microphone, or takes files: who is this, are two
recordings of the same person, with scores, quality and the runner-up. People can be enrolled and removed.

Uploads are limited in size and number, decoded in a guarded process, and deleted once embedded; embeddings stay in
memory until they are enrolled or half an hour old. Nothing leaves the machine.

By default only this machine can reach the page, and every user of it. On another --host each request needs the token in
the printed address, and browsers allow no camera without https; rather use ssh -L 8765:localhost:8765 MACHINE.

example:
  avsv serve people.gallery
  avsv serve --port 9000 --p-target 0.1 people.gallery
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_device, add_trust, at_least_zero, prior

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("gallery", type=Path, metavar="GALLERY", help="made by avsv enroll")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=at_least_zero, default=8765, metavar="N", help="port; 0 for any free one (8765)")
    parser.add_argument(
        "--p-target", type=prior, default=0.5, metavar="P",
        help="prior probability that a recording shows somebody in the gallery, or that two show one person (0.5)",
    )  # fmt: skip
    parser.add_argument(
        "--operating-point", type=Path, metavar="FILE",
        help="of avsv operating-point; its threshold replaces that of the prior",
    )  # fmt: skip
    add_trust(parser)
    add_device(parser)


def run(args):
    import secrets
    import signal
    import sys

    from avsv.errors import OptionError
    from avsv.people.gallery import Gallery
    from avsv.people.operating_point import read_operating_point
    from avsv.people.server import Server, is_loopback
    from avsv.people.service import Service

    gallery = Gallery(args.gallery, device=args.device, trust=args.trust_model)
    token = None if is_loopback(args.host) else secrets.token_urlsafe(24)
    point = read_operating_point(args.operating_point) if args.operating_point else None
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for commands in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # lets the temporary folder be removed
    with Service(gallery, args.p_target, point) as service:
        try:
            server = Server(service, args.host, args.port, token)
        except (OSError, OverflowError) as error:
            raise OptionError(f"cannot listen on {args.host}, port {args.port}: {error}") from None
        with server:
            if token is not None:
                log.warning("%s can be reached by other machines, without encryption: recordings and the token can be "
                            "read on the way", args.host)  # fmt: skip
            print(f"{args.gallery}: open {server.url} (Ctrl-C ends it)", flush=True)
            server.serve_forever()
