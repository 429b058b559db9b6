"""Small helpers around Qt, that know no request.

Logging categories, snake_case names beside Qt's, header lists made from QHttpHeaders, C++ slots as handlers. They may
import ``_protocol`` and QtCore and QtNetwork's values. No request passes through here; every folder above calls in.
"""
