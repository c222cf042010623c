import com.ecwid.consul.v1.ConsulClient;
import com.ecwid.consul.v1.QueryParams;
import com.ecwid.consul.v1.agent.model.NewService;
import com.ecwid.consul.v1.health.HealthServicesRequest;
import com.ecwid.consul.v1.kv.model.PutParams;
import com.ecwid.consul.v1.session.model.NewSession;
import java.util.List;

/** consul-api, the client under Spring Cloud Consul: keys, a service with a check, a blocking read, a lock. */
public final class Main {
    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String[] place = arguments[0].split(":");
        ConsulClient client = new ConsulClient(place[0], Integer.parseInt(place[1]));

        check(client.setKVValue("java/a", "1").getValue(), "put");
        check(client.getKVValue("java/a").getValue().getDecodedValue().equals("1"), "get");
        check(client.getStatusLeader().getValue().contains(":"), "leader");

        NewService service = new NewService();
        service.setId("java-1");
        service.setName("java-web");
        service.setTags(List.of("a"));
        service.setPort(80);
        NewService.Check ttl = new NewService.Check();
        ttl.setTtl("600s");
        service.setCheck(ttl);
        client.agentServiceRegister(service);
        client.agentCheckPass("service:java-1");
        HealthServicesRequest passing = HealthServicesRequest.newBuilder().setPassing(true).setQueryParams(QueryParams.DEFAULT).build();
        check(client.getHealthServices("java-web", passing).getValue().size() == 1, "health");
        check(client.getAgentServices().getValue().containsKey("java-1"), "agent");

        long index = client.getKVValues("java/").getConsulIndex();
        Thread writer = new Thread(() -> client.setKVValue("java/b", "2"));
        writer.start();
        check(client.getKVValues("java/", new QueryParams(10, index)).getConsulIndex() > index, "blocking read");
        writer.join();

        NewSession session = new NewSession();
        session.setName("java");
        PutParams taking = new PutParams();
        taking.setAcquireSession(client.sessionCreate(session, QueryParams.DEFAULT).getValue());
        check(client.setKVValue("java/lock", "me", taking).getValue(), "lock");

        client.agentServiceDeregister("java-1");
        check(client.getHealthServices("java-web", passing).getValue().isEmpty(), "deregistered");
        client.deleteKVValues("java/");
    }
}
