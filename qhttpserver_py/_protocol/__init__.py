"""The wire formats. Pure: stdlib, httptools and h2 only; PySide6 is never imported here.

``engine.py`` is the interface that HTTP/1 and HTTP/2 both fill. Octets enter at ``receive_data`` and leave as events;
replies enter at ``send_response`` and leave as octets from ``data_to_send``.
"""
