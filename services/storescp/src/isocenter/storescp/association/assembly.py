"""Messages from presentation data values (PS3.8 9.3.5.1 and E, PS3.7 6.3)."""

from collections.abc import Callable, Mapping

from isocenter.storescp.association.negotiation import AcceptedContext
from isocenter.storescp.association.pdu import (
    COMMAND,
    LAST,
    AbortReason,
    ProtocolError,
)
from isocenter.storescp.association.reader import PduReader
from isocenter.storescp.dimse.command import MAX_COMMAND_BYTES, CommandSet
from isocenter.storescp.dimse.dispatch import Message


class Assembly:
    """One association's messages, one after the other.

    Args:
        reader: where a value's bytes come from.
        contexts: accepted presentation contexts, by id.
        begin: makes a message of a command set.
        complete: takes a message whose last byte has come.
    """

    def __init__(
        self,
        reader: PduReader,
        contexts: Mapping[int, AcceptedContext],
        *,
        begin: Callable[[AcceptedContext, CommandSet], Message],
        complete: Callable[[Message], None],
    ) -> None:
        self._reader = reader
        self._contexts = contexts
        self._begin = begin
        self._finish = complete
        self._command = bytearray()
        self._context: AcceptedContext | None = None
        self._message: Message | None = None
        self.between = True
        """Whether no message has begun."""

    def value(self, context_id: int, control: int, length: int) -> None:
        """Take one value, whose bytes are the reader's next.

        Args:
            context_id: presentation context of its header.
            control: message control header.
            length: of its bytes.

        Raises:
            ProtocolError: it does not fit what came before it.
            MalformedError: it ends a command set that is none.
        """
        context = self._context
        if context is None:
            context = self._contexts.get(context_id)
            if context is None:
                raise ProtocolError(
                    "data on a presentation context that was not accepted",
                    AbortReason.INVALID_PARAMETER,
                )
            self._context = context
            self.between = False
        message = self._message
        expected = COMMAND if message is None else 0
        if control & COMMAND != expected or context.context_id != context_id:
            raise ProtocolError(
                "fragments of a message out of order", AbortReason.UNEXPECTED_PARAMETER
            )
        if message is None:
            self._command_fragment(context, control, length)
            return
        self._reader.data(length, message.write)
        if control & LAST:
            self._reader.flush()
            self._complete(message)

    def _command_fragment(
        self, context: AcceptedContext, control: int, length: int
    ) -> None:
        command = self._command
        if len(command) + length > MAX_COMMAND_BYTES:
            raise ProtocolError(
                f"a command set of more than {MAX_COMMAND_BYTES} bytes",
                AbortReason.INVALID_PARAMETER,
            )
        command += self._reader.small(length)
        if not control & LAST:
            return
        request = CommandSet.decode(command)
        command.clear()
        message = self._begin(context, request)
        if request.has_data_set:
            self._message = message
        else:
            self._complete(message)

    def _complete(self, message: Message) -> None:
        self._message = self._context = None
        self.between = True
        self._finish(message)

    def broken_off(self) -> None:
        """The association ended: what is incomplete will stay so."""
        if self._message is not None:
            self._message.broken_off()
            self._message = None
