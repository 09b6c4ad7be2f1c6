"""Pictures in, answers out: what other programs ask over HTTP, in a process of its own.

The server's process only passes requests on (`worker`, `routes`); all that reads what others send
is the child's (`child`): JSON, base64, pictures, and the recognition itself.
"""
