import com.pixelmed.dicom.SetOfDicomFiles;
import com.pixelmed.network.Association;
import com.pixelmed.network.AssociationFactory;
import com.pixelmed.network.MultipleInstanceTransferStatusHandlerWithFileName;
import com.pixelmed.network.PresentationContext;
import com.pixelmed.network.StorageSOPClassSCU;
import java.security.Security;
import java.util.LinkedList;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Sends files by PixelMed's Storage SCU, on an association for each transfer syntax: it
 * looks for a presentation context by SOP class alone.
 *
 * <p>Arguments: port, called AE title, "plain" or "tls", files. Its own program has no
 * TLS; its associations have, with the JDK's stores (javax.net.ssl.*).
 */
class PixelMedSender {
  private static final String WEAK = "TLS_RSA_WITH_AES_128_CBC_SHA";

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    boolean tls = arguments[2].equals("tls");
    if (tls) {
      // Where the JDK has this suite it enables no other; without forward secrecy it is
      // none of BCP 195. Where the JDK has not, it leaves the choice to the JDK.
      String disabled = Security.getProperty("jdk.tls.disabledAlgorithms");
      Security.setProperty("jdk.tls.disabledAlgorithms", disabled + ", " + WEAK);
    }
    Map<String, SetOfDicomFiles> bySyntax = new TreeMap<>();
    for (int at = 3; at < arguments.length; at++) {
      SetOfDicomFiles one = new SetOfDicomFiles();
      String syntax = one.add(arguments[at]).getTransferSyntaxUID();
      bySyntax.computeIfAbsent(syntax, any -> new SetOfDicomFiles()).addAll(one);
    }
    for (Map.Entry<String, SetOfDicomFiles> each : bySyntax.entrySet()) {
      send(port, arguments[1], tls, each.getKey(), each.getValue());
    }
  }

  private static void send(
      int port, String called, boolean tls, String syntax, SetOfDicomFiles files)
      throws Exception {
    LinkedList<PresentationContext> contexts = new LinkedList<>();
    TreeSet<String> classes = new TreeSet<>();
    for (SetOfDicomFiles.DicomFile file : files) {
      classes.add(file.getSOPClassUID());
    }
    byte id = 1;
    for (String sopClass : classes) {
      contexts.add(new PresentationContext(id, sopClass, syntax));
      id += 2;
    }
    Association association =
        AssociationFactory.createNewAssociation(
            "localhost", port, called, "PIXELMED", contexts, null, tls);
    Stored stored = new Stored();
    StorageSOPClassSCU scu = new StorageSOPClassSCU(association, files, stored);
    association.release();
    if (scu.encounteredTrappedExceptions() || stored.count != files.size()) {
      throw new IllegalStateException(
          syntax + ": " + stored.count + " of " + files.size() + " were stored");
    }
  }

  /** Counts the responses of success. */
  private static class Stored extends MultipleInstanceTransferStatusHandlerWithFileName {
    int count;

    @Override
    public void updateStatus(
        int remaining, int completed, int failed, int warned,
        String uid, String file, boolean success) {
      count += success ? 1 : 0;
    }
  }
}
