"""The RFCs' words, to the letter, that cases cite where a well-known proxy decides otherwise."""


def cite(section: str, text: str, note: str = "") -> str:
    """Return a citation; ``section`` is of RFC 9113 or names another RFC, ``note`` what it means for the case."""
    rfc = section if section.startswith("RFC") else f"RFC 9113 {section}"
    return f"{rfc}: \"{text}\"" + (f" {note}" if note else "")


ASTERISK = cite(
    "8.3.1", "an OPTIONS request for an \"http\" or \"https\" URI that does not include a path component; these MUST "
    "include a \":path\" pseudo-header field with a value of '*'", "This is the one exception to a path.")
AUTHORITY = cite(
    "8.3.1", "The \":authority\" pseudo-header field conveys the authority portion (Section 3.2 of [RFC3986]) of the "
    "target URI", "It has a host and, where there is one, a port of digits.")
EMPTY_HOST = cite(
    "RFC 9110 4.2.1", "A sender MUST NOT generate an \"http\" URI with an empty host identifier. A recipient that "
    "processes such a URI reference MUST reject it as invalid.")
EVICTION = cite(
    "RFC 7541 4.3", "Whenever the maximum size for the dynamic table is reduced, entries are evicted from the end of "
    "the dynamic table until the size of the dynamic table is less than or equal to the maximum size.")
GRACEFUL = cite(
    "6.8", "Activity on streams numbered lower than or equal to the last stream identifier might still complete "
    "successfully.")
INTEGER = cite(
    "RFC 7541 5.1", "Integer encodings that exceed implementation limits — in value or octet length — MUST be "
    "treated as decoding errors.", "This one is 127.")
HOST = cite(
    "8.3.1", "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an "
    "entity that differs from the entity in the \":authority\" pseudo-header field.")
LENGTH = cite(
    "8.1.1", "A request or response is also malformed if the value of a content-length header field does not equal "
    "the sum of the DATA frame payload lengths that form the content, unless the message is defined as having no "
    "content.")
MALFORMED = cite(
    "8.1.1", "Malformed requests or responses that are detected MUST be treated as a stream error (Section 5.4.2) of "
    "type PROTOCOL_ERROR.")
NO_HOST = cite(
    "RFC 9110 7.2", "A user agent MUST generate a Host header field in a request unless it sends that information as "
    "an \":authority\" pseudo-header field.")
PADDING = cite(
    "6.1", "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this "
    "as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.")
LESS_PADDING = f"{PADDING} Here it is less."
PRIORITY_0 = cite(
    "6.3", "If a PRIORITY frame is received with a stream identifier of 0x00, the recipient MUST respond with a "
    "connection error (Section 5.4.1) of type PROTOCOL_ERROR.")
PUSH = cite(
    "6.5.2", "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as a connection error "
    "(Section 5.4.1) of type PROTOCOL_ERROR.")
REFUSED = cite(
    "6.8", "If the receiver of the GOAWAY has sent data on streams with a higher stream identifier than what is "
    "indicated in the GOAWAY frame, those streams are not or will not be processed.")
RESERVED = cite(
    "6.9", "The frame payload of a WINDOW_UPDATE frame is one reserved bit plus an unsigned 31-bit integer indicating "
    "the number of octets that the sender can transmit in addition to the existing flow-control window.")
SPACES = cite(
    "8.2.1", "A field value MUST NOT start or end with an ASCII whitespace character (ASCII SP or HTAB, 0x20 or 0x09).")
TOO_LARGE = cite(
    "4.2", "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in "
    "SETTINGS_MAX_FRAME_SIZE, exceeds any limit defined for the frame type, or is too small to contain mandatory frame "
    "data.")
UNDEFINED = cite(
    "8.3", "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header fields as "
    "malformed (Section 8.1.1).")
UNEXPECTED = cite(
    "5.1.1", "An endpoint that receives an unexpected stream identifier MUST respond with a connection error (Section "
    "5.4.1) of type PROTOCOL_ERROR.")
UNKNOWN = cite("4.1", "Implementations MUST ignore and discard frames of unknown types.")
USERINFO = cite(
    "8.3.1", "\":authority\" MUST NOT include the deprecated userinfo subcomponent for \"http\" or \"https\" schemed "
    "URIs.")
WINDOWS = cite(
    "6.9.2", "An endpoint MUST treat a change to SETTINGS_INITIAL_WINDOW_SIZE that causes any flow-control window to "
    "exceed the maximum size as a connection error (Section 5.4.1) of type FLOW_CONTROL_ERROR.")
