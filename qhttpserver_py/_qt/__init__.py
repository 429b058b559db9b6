"""Small helpers around Qt that know no request.

Logging categories, snake_case names beside Qt's, header lists made from QHttpHeaders, C++ slots as handlers. They may
import ``_protocol``, QtCore and the value classes of QtNetwork. All folders above use them.
"""
